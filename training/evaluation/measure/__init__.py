"""What is measured of one clip: the engine's frames, and what FaceLandmarker reads off them.

Results are kept under the text of these files, so that a changed measure is measured again.
"""
