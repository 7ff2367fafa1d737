"""How far a draft can be trusted: signals of its text, P(good), gain, and bars that are certified."""
