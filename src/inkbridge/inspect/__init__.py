"""Is this data fit for training, how far apart are the two cultures, and which recipe fits."""
