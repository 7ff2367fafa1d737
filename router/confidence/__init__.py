"""How far a draft can be trusted: its signals, P(good), the gain of escalating, certified bars."""
