"""Believable people in many scripts, reproducible from a seed, for both systems at once."""
