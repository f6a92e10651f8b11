"""The networks as torch modules: imported by training and export, never while serving."""
