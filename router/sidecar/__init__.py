"""The sidecar: the street behind an OpenAI-shaped HTTP door on this machine."""
