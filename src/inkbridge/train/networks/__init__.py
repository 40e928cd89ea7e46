"""The networks that are trained: one small file each."""
