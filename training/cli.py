"""`omnisync train STAGE ...`: one command a stage, each resumable and each with --help."""

from __future__ import annotations

import importlib
import sys

STAGES = {
    "grid": "GRID clips -> aligned crops, sound and lip poses",
    "portraits": "still portraits -> talking, exact pairs",
    "rendered": "rendered heads -> aligned crops",
    "drawn": "drawn faces that talk, from seeds",
    "autoencoder": "crop <-> latent",
    "alignment": "phoneme times of GRID's sentences",
    "articulation": "phonemes and their times -> lip pose",
    "speech": "voices of many languages with their lips",
    "sound": "log-mel -> lip pose and sound tokens",
    "latents": "encode every crop once",
    "teacher": "the denoiser, unguided",
    "distill": "fold guidance into one pass",
    "appearance": "edited latent -> picture: the motion net and the decoder",
    "covers": "what stands before a face -> the motion net",
    "ablate": "the ablation table: the method's parts taken away one by one",
    "landmarks": "the landmark net",
    "evaluate": "lip sync judged on held-out pictures",
}


def main(argv: list[str] | None = None) -> int:
    args = sys.argv[1:] if argv is None else argv
    if not args or args[0] not in STAGES:
        lines = "\n".join(f"  {name:12s} {meaning}" for name, meaning in STAGES.items())
        print(
            f"omnisync train STAGE [options]   (--help after a stage tells more)\n{lines}",
            file=sys.stderr,
        )
        return 0 if args[:1] in (["-h"], ["--help"]) else 2
    code: int = importlib.import_module(f"training.{args[0]}").main(args[1:])
    return code


if __name__ == "__main__":
    sys.exit(main())
