"""Rendered heads: MakeHuman (CC0) faces that speak with GRID's mouths, for training and tests."""
