"""Line ends of errors: ours are lines on a terminal, those of a help, a list, or two prompts."""

import click
from terminal import run

from ollama_pack.cli.error_edge import of_usage
from ollama_pack.cli.say import error_lines, terminal_line
from ollama_pack.errors import PackError, bullet_list
from ollama_pack.pipeline.prompt.verdict import PromptVerdict, prompt_error
from ollama_pack.verify.prompt import ComparedPrompt, show_difference
from ollama_pack.verify.result import ProofResult


def test_a_bare_call_prints_the_help():
    """Without a command the help is printed once, in its lines, and nothing else."""
    ran = run()
    assert ran.code in (0, 2)  # click before 8.2 calls it a success
    assert ran.stdout + ran.stderr == run("--help").stdout
    assert "Error" not in ran.stderr


def test_two_prompts_and_their_caret(tmp_path):
    """The prompts of an error stand below each other, and the caret below the first byte that differs."""
    compared = ComparedPrompt("hello", "<|start|>user\nHi", "<|im_start|>user\nHi")
    result = ProofResult("prompt", passed=False, figure=1.0, limit=0.0, summary="0 of 1")
    verdict = PromptVerdict(result, difference=show_difference(compared))
    lines = [terminal_line(line) for line in error_lines(prompt_error(verdict, tmp_path, hint="look"))]
    trained, sent, caret = lines[1:4]
    at = caret.index("^")
    assert caret.strip() == "^"
    assert (trained[11:at], trained[at], sent[at]) == (sent[11:at], "s", "i")
    assert not any(r"\ntrained" in line or r"\nsent" in line for line in lines)


def test_a_list_inside_a_sentence():
    """The points of a list follow its headline where an error is part of a sentence; it has no line end."""
    listed = PackError(
        bullet_list("Ollama does not accept it.", ["The tag is missing.", "The model is missing."])
    )
    assert listed.clause == "Ollama does not accept it: The model is missing; The tag is missing"
    assert PackError("They differ.\n  trained  'a'\n  sent     'b'\n  ^").clause == "they differ"
    said = run("inspect", ":").stderr
    assert (
        "There is no directory or file :, and Ollama does not accept the model name ':': The model is" in said
    )


def test_choices_of_click_are_one_line():
    """The choices of a missing argument, which click lists below each other, are one line without escapes."""
    missing = click.MissingParameter(param=click.Argument(["kind"], type=click.Choice(["bash", "zsh"])))
    assert of_usage(missing).what == "Missing argument 'KIND'. Choose from: bash, zsh"
