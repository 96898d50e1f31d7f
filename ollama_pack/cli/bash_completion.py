"""Completion in bash; see "Completion in bash reads the line" in docs/decisions.md."""

import os

from click.shell_completion import BashComplete, CompletionItem, add_completion_class, split_arg_string


class ColonBash(BashComplete):
    """Completion in bash, for which a colon ends a word; the names of models have one.

    click's script hands over the words as bash splits them, so ``vicuna:7`` would be three. This one hands
    over the line, and gives back what follows the last colon.
    """

    source_template = r"""%(complete_func)s() {
    local IFS=$'\n' response completion type value
    response=$(env COMP_LINE="${COMP_LINE:0:COMP_POINT}" COMP_WORDBREAKS="$COMP_WORDBREAKS" \
        %(complete_var)s=bash_complete "$1")
    for completion in $response; do
        IFS=',' read -r type value <<< "$completion"
        case $type in
            dir) compopt -o plusdirs ;;
            file) compopt -o default ;;
            plain) COMPREPLY+=("$value") ;;
        esac
    done
}

complete -o nosort -F %(complete_func)s %(prog_name)s
"""

    def get_completion_args(self) -> tuple[list[str], str]:
        """Return the whole words on the line, and the one at the cursor."""
        # The letter at the end makes a word of what follows a space.
        *words, last = split_arg_string(os.environ["COMP_LINE"] + "x")
        self._typed = last[:-1]
        return words[1:], self._typed

    def format_completion(self, item: "CompletionItem[str]") -> str:
        """Return an item as the script reads it, without what stands before its last colon on the line."""
        value = item.value
        if item.type == "plain" and ":" in os.environ.get("COMP_WORDBREAKS", ""):
            value = value[self._typed.rpartition("=")[2].rfind(":") + 1 :]
        return f"{item.type},{value}"


add_completion_class(ColonBash, "bash")
