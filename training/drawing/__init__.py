"""Drawn faces: what illustrators, avatar makers and children draw, from a seed."""
