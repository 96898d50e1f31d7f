// Executes Go templates with Go's own text/template, the way Ollama sets it up, for the tests of ollama-pack.
//
// Each line of standard input is a JSON object: "template", "data" and "bare" (without functions and option). Each line
// of output is one with "out" (base64) or "error". A map {"$struct": {…}} becomes a pointer to a struct,
// {"$list": […]} a slice that prints itself as JSON, and {"$nil": true} a nil slice of that kind.
package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"text/template"
)

type message struct {
	Role    string
	Content string
	Calls   []any
}

type jsonList []any

func (l jsonList) String() string {
	b, _ := json.Marshal(l)
	return string(b)
}

func plain(v any) any {
	switch v := v.(type) {
	case json.Number:
		if strings.ContainsAny(v.String(), ".eE") {
			f, _ := v.Float64()
			return f
		}
		n, _ := v.Int64()
		return int(n)
	case []any:
		for i := range v {
			v[i] = plain(v[i])
		}
	case map[string]any:
		for key := range v {
			v[key] = plain(v[key])
		}
		if fields, ok := v["$struct"].(map[string]any); ok {
			m := &message{}
			m.Role, _ = fields["Role"].(string)
			m.Content, _ = fields["Content"].(string)
			m.Calls, _ = fields["Calls"].([]any)
			return m
		}
		if items, ok := v["$list"].([]any); ok {
			return jsonList(items)
		}
		if v["$nil"] == true {
			return jsonList(nil)
		}
	}
	return v
}

func execute(text string, data any, bare bool) ([]byte, error) {
	functions := template.FuncMap{
		"json": func(v any) string {
			b, _ := json.Marshal(v)
			return string(b)
		},
		"currentDate":   func(args ...string) string { return "2026-01-02" },
		"yesterdayDate": func(args ...string) string { return "2026-01-01" },
	}
	parsed, err := template.New("").Option("missingkey=zero").Funcs(functions).Parse(text)
	if err != nil {
		return nil, err
	}
	if bare {
		tree := *parsed.Tree
		parsed = template.Must(template.New("").AddParseTree("", &tree))
	}
	var out bytes.Buffer
	err = parsed.Execute(&out, data)
	return out.Bytes(), err
}

func main() {
	lines := bufio.NewReader(os.Stdin)
	for {
		line, err := lines.ReadBytes('\n')
		if err != nil {
			return
		}
		var asked struct {
			Template string
			Data     any
			Bare     bool
		}
		decoder := json.NewDecoder(bytes.NewReader(line))
		decoder.UseNumber()
		if err := decoder.Decode(&asked); err != nil {
			panic(err)
		}
		answer := map[string]any{}
		out, err := execute(asked.Template, plain(asked.Data), asked.Bare)
		if err != nil {
			answer["error"] = err.Error()
		} else {
			answer["out"] = out
		}
		encoded, _ := json.Marshal(answer)
		fmt.Println(string(encoded))
	}
}
