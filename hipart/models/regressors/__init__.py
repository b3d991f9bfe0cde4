"""Densifiers without tokens, as baselines: 17 joints to all dense points in one pass (Fig. 12)."""
