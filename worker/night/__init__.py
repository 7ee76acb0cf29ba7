"""The other half of the worker's day: what people felt becomes a better LoRA, or is refused."""
