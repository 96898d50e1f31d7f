"""Chat templates of our own, each with something that templates of the Hub do."""

SPECIAL = {"bos_token": "<s>", "eos_token": "</s>"}

CHATML = (
    "{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}"
    "{{ '<|im_start|>system\\nBe kind.<|im_end|>\\n' }}{% endif %}"
    "{{'<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n'}}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)

TEMPLATES = {
    "chatml": CHATML,
    "trimmed": """{{ bos_token }}
{%- for message in messages %}
    {%- if message.role == 'assistant' %}
{{ '<a>' + message.content | trim + eos_token }}
    {%- else %}
        {{- '<' + message.role + '>' + message.content | trim }}
    {%- endif %}
{%- endfor %}
{% if add_generation_prompt %}
<a>
{% endif %}
""",
    "blocks": (
        "{% for m in messages %}\n  {% if m.role == 'user' %}\nU {{ m.content }}\n  {% endif %}\n"
        "{% endfor %}\n\n"
    ),
    "namespace": (
        "{% set ns = namespace(n=0, system='') %}{% for m in messages %}{% if m['role'] == 'system' %}"
        "{% set ns.system = m['content'].strip() %}{% else %}{% set ns.n = ns.n + 1 %}"
        "{{ ns.n }}:{{ ns.system }}:{{ m['content'] }}|{% endif %}{% endfor %}"
    ),
    "refuses": (
        "{% if messages[0].role == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}"
        "{% for m in messages %}{{ m.content }}{% endfor %}"
    ),
    "date": "{{ strftime_now('%d %b %Y') }}{% if now is not defined %}|{{ messages | length }}{% endif %}",
    "tools": (
        "{% if tools %}{% for t in tools %}{{ t | tojson }}{{ t.function | tojson(indent=2) }}{% endfor %}"
        "{% else %}none{% endif %}{{ messages[-1].content | tojson }}"
    ),
    "generation": (
        "{% for m in messages %}{% if m.role == 'assistant' %}{% generation %}{{ m.content }}{{ eos_token }}"
        "{% endgeneration %}{% else %}[{{ m.content }}]{% endif %}{% endfor %}"
    ),
    "loops": (
        "{% for m in messages %}{% if m.role == 'system' %}{% continue %}{% endif %}"
        "{{ loop.index0 }}{{ m.content }}{% if loop.index > 3 %}{% break %}{% endif %}{% endfor %}"
    ),
    "macro": (
        "{% macro show(m, mark='#') %}{{ mark }}{{ m.content | replace('a', 'b') | upper }}{% endmacro %}"
        "{% for m in messages %}{{ show(m) }}{{ show(m, '/') }}{% endfor %}"
    ),
    "thinking": (
        "{% for m in messages %}{% set c = m.content.split('</think>')[-1].lstrip('\\n') %}{{ c }};"
        "{% endfor %}"
        "{% if enable_thinking is defined and enable_thinking is false %}<think></think>{% endif %}"
    ),
    "undefined": "{{ messages[0].nothing }}{{ unk_token }}{{ messages[0].content }}",
    "fails": "{{ messages[0].nothing.more }}",
    "damaged": "{% if messages %}",
}
