"""Measures: arrays in, numbers out, numpy alone."""
