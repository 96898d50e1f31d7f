"""The stand-in daemon with a tongue: it tells what it renders, as a test wants it to."""

import fake_daemon

V1 = "/v1/chat/completions"
JINJA = "<s>{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}<assistant>"


def trained(messages):
    """Return what an Ollama with the chat template `JINJA` renders."""
    return "<s>" + "".join(f"<{each['role']}>{each['content']}" for each in messages) + "<assistant>"


def tell_prompts(monkeypatch):
    """Let stand-ins tell what they render, and return the list whose last item says what that is.

    It is a function of the messages, None for a daemon that does not tell, ``fails``, or one of these for
    each path.
    """
    tells: list = [None]
    usual = fake_daemon._Handler.do_POST

    def do_post(handler):
        if handler.path not in ("/api/chat", V1):
            return usual(handler)
        body, render = handler._body(), tells[-1]
        if isinstance(render, dict):
            render = render[handler.path]
        if render is None:
            return handler._answer({"message": {"role": "assistant", "content": "Hm."}, "done": True})
        if render == "fails":
            return handler._answer({"error": "no room for the model"}, 500)
        assert body["_debug_render_only"]
        return handler._answer({"_debug_info": {"rendered_template": render(body["messages"])}, "done": True})

    monkeypatch.setattr(fake_daemon._Handler, "do_POST", do_post)
    return tells
