"""Lip sync judged from outside: `sets` makes what is judged, `measure` looks at what the engine
makes of it, the rest turns measures into a report and pictures.
"""
