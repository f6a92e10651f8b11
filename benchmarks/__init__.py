"""Measurements of the live path, through real WebRTC and a real browser, and of the engine."""
