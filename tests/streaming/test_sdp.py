import pytest
from aiortc import RTCConfiguration, RTCPeerConnection
from aiortc.sdp import SessionDescription

from streaming.problems import Problem
from streaming.sdp import MAX_CANDIDATES, check_offer, strip_mdns, tune_answer

LIMIT = 65_536


@pytest.fixture
async def offer() -> str:
    pc = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    pc.createDataChannel("control")
    pc.addTransceiver("audio")
    pc.addTransceiver("video")
    await pc.setLocalDescription(await pc.createOffer())
    await pc.close()
    return pc.localDescription.sdp


def refused(sdp: str, limit: int = LIMIT) -> int:
    with pytest.raises(Problem) as caught:
        check_offer(sdp, limit)
    assert "\n" not in caught.value.detail
    return caught.value.status


def without(sdp: str, prefix: str) -> str:
    return "\r\n".join(line for line in sdp.splitlines() if not line.startswith(prefix))


def sections(sdp: str) -> list[str]:
    head, *rest = sdp.split("m=")
    return [head, *("m=" + part for part in rest)]


def test_ordinary_offer_passes(offer: str) -> None:
    check_offer(offer, LIMIT)
    check_offer(offer.replace("\r\n", "\n"), LIMIT)
    check_offer(without(offer, "a=candidate"), LIMIT)


@pytest.mark.parametrize("sdp", ["", "hello", "v=0\r\nhello", "\x00" * 100, "v=0\r\n\x07"])
def test_garbage_is_400(sdp: str) -> None:
    assert refused(sdp) == 400


@pytest.mark.parametrize("prefix", ["a=fingerprint:sha-256", "a=ice-ufrag", "a=ice-pwd", "a=mid"])
def test_what_aiortc_would_trip_over_is_400(offer: str, prefix: str) -> None:
    assert refused(without(offer, prefix)) == 400


def test_weak_fingerprint_is_400(offer: str) -> None:
    sha1 = without(without(offer, "a=fingerprint:sha-384"), "a=fingerprint:sha-512")
    assert refused(sha1.replace("sha-256", "sha-1")) == 400


def test_too_large_is_413(offer: str) -> None:
    assert refused(offer + "a=x:" + "y" * LIMIT) == 413
    assert refused(offer, 1000) == 413


def test_many_candidates_are_400(offer: str) -> None:
    line = "a=candidate:1 1 udp 2130706431 192.0.2.1 9 typ host\r\n"
    assert refused(offer.replace("a=mid:0\r\n", "a=mid:0\r\n" + line * (MAX_CANDIDATES + 1))) == 400


def test_shapes_that_we_cannot_serve_are_422(offer: str) -> None:
    head, application, audio, video = _by_kind(offer)
    assert refused(head + audio) in (400, 422)
    no_bundle = without(offer, "a=group:BUNDLE") + "\r\n"
    assert refused(no_bundle) == 422
    assert refused(no_bundle + audio.replace("a=mid:", "a=mid:9")) == 422
    assert refused(offer.replace("opus/48000", "speex/16000")) == 422
    av1 = offer.replace("VP8/90000", "AV1/90000").replace("H264/90000", "H265/90000")
    assert refused(av1) == 422
    for direction in ("sendonly", "recvonly", "inactive"):
        assert refused(head + application + audio.replace("sendrecv", direction) + video) == 422
    text = application.replace("m=application", "m=text")
    assert refused(head + text + audio + video) == 422


def _by_kind(sdp: str) -> tuple[str, str, str, str]:
    head, *rest = sections(sdp)
    kinds = {part.split(" ")[0]: part for part in rest}
    return head, kinds["m=application"], kinds["m=audio"], kinds["m=video"]


def test_mdns_candidates_are_dropped_and_others_kept(offer: str) -> None:
    name = "a=candidate:7 1 udp 2130706431 8b5e0f7e-aaaa.local 9 typ host\r\n"
    stripped = strip_mdns(offer.replace("a=mid:0\r\n", "a=mid:0\r\n" + name))
    assert ".local" not in stripped
    assert stripped.count("a=candidate") == offer.count("a=candidate")


def test_answer_carries_rate_and_packet_time(offer: str) -> None:
    tuned = tune_answer(offer, 1500)
    _, _, audio, video = _by_kind(tuned)
    assert "a=ptime:10" in audio and "a=ptime" not in video
    described = SessionDescription.parse(tuned)
    codecs = next(m for m in described.media if m.kind == "video").rtp.codecs
    for codec in codecs:
        if codec.name != "rtx":
            assert codec.parameters["x-google-start-bitrate"] == "1500", codec
    h264 = [c for c in codecs if c.name == "H264"]
    assert all(c.parameters["packetization-mode"] for c in h264)
    assert len(described.media) == 3
