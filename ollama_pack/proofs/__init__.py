"""PROVE  that what was written is what was trained; one file a proof."""
