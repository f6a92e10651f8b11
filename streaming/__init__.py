"""Clocks and networks: WebRTC calls around the lip-sync engine. No tensors in here."""
