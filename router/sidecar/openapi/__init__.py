"""The OpenAPI document of the door, as data: what every endpoint takes and answers."""
