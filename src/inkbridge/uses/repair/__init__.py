"""Mend damaged pictures: what is hidden is painted anew, what is noisy or faded is put right."""
