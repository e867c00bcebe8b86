"""Channels read what people send and say what to send back; sending itself is the gateway's."""
