"""`omnisync train STAGE ...`: one command a stage, each with --help; those that
train, and `data`, go on where they were stopped."""

from __future__ import annotations

import importlib
import sys

from training.splits import HeldOutError

APART = {"pocketsphinx": "pip install pocketsphinx"}  # what `make setup-train` leaves out
STAGES = {
    "data": "every maker of data below, one after another",
    "grid": "GRID clips -> aligned crops, sound and lip poses",
    "portraits": "still portraits -> talking, exact pairs",
    "rendered": "rendered heads -> aligned crops",
    "drawn": "drawn faces that talk, from seeds",
    "autoencoder": "crop <-> latent",
    "alignment": "phoneme times of GRID's sentences",
    "articulation": "phonemes and their times -> lip pose",
    "laughs": "recorded laughter of free packages",
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
    """Run a stage; 0 done, 2 bad input in one line, 130 interrupted."""
    args = sys.argv[1:] if argv is None else argv
    if not args or args[0] not in STAGES:
        lines = "\n".join(f"  {name:12s} {meaning}" for name, meaning in STAGES.items())
        print(
            f"omnisync train STAGE [options]   (--help after a stage tells more)\n{lines}",
            file=sys.stderr,
        )
        return 0 if args[:1] in (["-h"], ["--help"]) else 2
    sys.argv[0] = f"omnisync train {args[0]}"  # what argparse calls the command
    try:
        code: int = importlib.import_module(f"training.{args[0]}").main(args[1:])
    except ModuleNotFoundError as error:
        how = APART.get(error.name or "", "make setup-train")
        return _refuse(f"needs {error.name}: {how}")
    except HeldOutError as error:
        return _refuse(str(error))
    except OSError as error:
        return _refuse(f"{error.filename}: {error.strerror}" if error.filename else str(error))
    except KeyboardInterrupt:
        return _refuse("interrupted", 130)
    return code


def _refuse(words: str, code: int = 2) -> int:
    print(f"{sys.argv[0]}: {words}", file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
