"""What an offer must be before aiortc sees it, and what an answer still needs after."""

import re

from .problems import BadOffer, Problem, UnservableOffer

MAX_CANDIDATES = 32
SECTIONS = {"audio": 1, "video": 1, "application": 1}
PTIME_MS = 10
_SHA256 = re.compile(r"^a=fingerprint:sha-256 ([0-9A-F]{2}:){31}[0-9A-F]{2}\s*$", re.I | re.M)
_CONTROL = re.compile(r"[^\r\n\t\x20-\x7e\x80-\U0010ffff]")


def check_offer(sdp: str, max_bytes: int) -> None:
    """Raises a Problem (400, 413 or 422) unless this is one call's worth of SDP.

    Unchecked, aiortc accepts an empty offer, fails in a background task on a missing
    fingerprint, and holds the loop for a second over 3,000 candidates.
    """
    if len(sdp.encode("utf-8", "replace")) > max_bytes:
        raise Problem(413, f"sdp is larger than {max_bytes} bytes")
    if not sdp.startswith("v=0") or _CONTROL.search(sdp):
        raise BadOffer("sdp is not a session description")
    session, *sections = re.split(r"^(?=m=)", sdp, flags=re.M)
    _check_shape(session, sections)
    if sdp.count("a=candidate:") > MAX_CANDIDATES:
        raise BadOffer(f"more than {MAX_CANDIDATES} candidates in one offer")
    for section in sections:
        _check_transport(session, section)
    for section in sections:
        _check_media(section)


def _kind(section: str) -> str:
    return section[2:].split(" ", 1)[0].strip()


def _check_shape(session: str, sections: list[str]) -> None:
    kinds = [_kind(section) for section in sections]
    if not kinds:
        raise BadOffer("sdp has no media section")
    for kind in kinds:
        if kind not in SECTIONS or kinds.count(kind) > SECTIONS[kind]:
            raise UnservableOffer("offer exactly one audio and one video track")
    if "audio" not in kinds or "video" not in kinds:
        raise UnservableOffer("offer one audio and one video track")
    mids = [_attribute(section, "mid") for section in sections]
    if None in mids or len(set(mids)) != len(mids):
        raise BadOffer("each media section needs its own a=mid")
    bundle = re.search(r"^a=group:BUNDLE ([^\r\n]*)", session, re.M)
    if bundle is None or set(bundle[1].split()) != set(mids):
        raise UnservableOffer("all media sections must be bundled (a=group:BUNDLE)")


def _check_transport(session: str, section: str) -> None:
    both = session + section
    if _SHA256.search(both) is None:
        raise BadOffer("no sha-256 fingerprint in the offer")
    if _attribute(both, "ice-ufrag") is None or _attribute(both, "ice-pwd") is None:
        raise BadOffer("no ice-ufrag and ice-pwd in the offer")


def _check_media(section: str) -> None:
    kind = _kind(section)
    if kind == "application":
        return
    codecs = {c.lower() for c in re.findall(r"^a=rtpmap:\d+ ([\w.-]+)/", section, re.M)}
    if kind == "audio" and "opus" not in codecs:
        raise UnservableOffer("the audio track must offer Opus")
    if kind == "video" and not codecs & {"vp8", "h264"}:
        raise UnservableOffer("the video track must offer VP8 or H264")
    if re.search(r"^a=(sendonly|recvonly|inactive)\s*$", section, re.M):
        raise UnservableOffer(f"the {kind} track must be sendrecv")


def _attribute(text: str, name: str) -> str | None:
    found = re.search(rf"^a={name}:([^\r\n]+)", text, re.M)
    return found[1].strip() if found else None


def is_mdns(candidate: str) -> bool:
    """True for a candidate whose address hides behind a multicast name (RFC 8828)."""
    fields = candidate.split()
    return len(fields) > 4 and fields[4].endswith(".local")


def strip_mdns(sdp: str) -> str:
    """Drops `.local` candidates: resolving one that nobody answers holds the answer for 1.0 s.

    Peer-reflexive candidates connect the call without them, unless the offer says that no more
    are to come: aioice then gives up, so that line goes too.
    """
    lines = sdp.splitlines()
    kept = [
        x
        for x in lines
        if not (x.startswith("a=candidate:") and is_mdns(x)) and x != "a=end-of-candidates"
    ]
    return "\r\n".join(kept) + "\r\n"


def tune_answer(sdp: str, kbps: int) -> str:
    """Tells libwebrtc to start at full rate and to send sound in 10 ms packets.

    By itself Chrome begins at 300 kbit/s and takes 25 s to its full picture. Shorter sound
    packets are 10 to 20 ms fresher when a tick takes them. Other clients ignore both.
    """
    rates = f"x-google-start-bitrate={kbps}"
    out: list[str] = []
    for section in re.split(r"^(?=m=)", sdp, flags=re.M):
        lines = section.splitlines()
        if section.startswith("m=video"):
            lines = _with_rates(lines, rates)
        elif section.startswith("m=audio"):
            lines.append(f"a=ptime:{PTIME_MS}")
        out += lines
    return "\r\n".join(out) + "\r\n"


def _with_rates(lines: list[str], rates: str) -> list[str]:
    found = re.findall(r"a=rtpmap:(\d+) (?:VP8|H264)/", "\n".join(lines), re.I)
    tuned = []
    described = {t for t in found if any(x.startswith(f"a=fmtp:{t} ") for x in lines)}
    for line in lines:
        name = re.match(r"a=(rtpmap|fmtp):(\d+) ", line)
        if name and name[2] in found and name[1] == "fmtp":
            line = f"{line};{rates}"
        tuned.append(line)
        if name and name[2] in found and name[1] == "rtpmap" and name[2] not in described:
            tuned.append(f"a=fmtp:{name[2]} {rates}")
    return tuned
