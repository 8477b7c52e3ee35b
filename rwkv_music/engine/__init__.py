"""Fast inference: token ids in, logits out. See base.py for what an engine is."""
