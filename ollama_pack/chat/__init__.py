"""What a model is sent: the chat template that it was trained with, and what Ollama makes of a conversation.

`parse_go` and `execute_go` are Ollama's side: its templates are written in the language of Go's
``text/template``.
"""
