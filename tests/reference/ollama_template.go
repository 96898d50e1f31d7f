// Executes Go templates with Ollama's own template package, for the tests of ollama-pack. It is compiled inside a checkout
// of Ollama. Each line of standard input is a JSON object with a template, messages, tools, and what a request says about
// thinking; each line of output has "out", or "error", and the names and tags that Ollama sees in the template.
package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"os"

	"github.com/ollama/ollama/api"
	"github.com/ollama/ollama/template"
	"github.com/ollama/ollama/thinking"
)

func main() {
	r := bufio.NewReaderSize(os.Stdin, 1<<20)
	for {
		line, err := r.ReadBytes('\n')
		if err != nil {
			return
		}
		var q struct {
			Template string
			Messages []api.Message
			Tools    api.Tools
			Think    bool
			IsSet    bool
		}
		if err := json.Unmarshal(line, &q); err != nil {
			panic(err)
		}
		a := map[string]any{}
		func() {
			defer func() {
				if e := recover(); e != nil {
					a["error"] = fmt.Sprint(e)
				}
			}()
			t, err := template.Parse(q.Template)
			if err != nil {
				a["error"] = err.Error()
				return
			}
			vars, _ := t.Vars()
			a["vars"] = vars
			o, c := thinking.InferTags(t.Template)
			a["tags"] = []string{o, c}
			var b bytes.Buffer
			if err := t.Execute(&b, template.Values{Messages: q.Messages, Tools: q.Tools, Think: q.Think, IsThinkSet: q.IsSet}); err != nil {
				a["error"] = err.Error()
				return
			}
			a["out"] = b.String()
		}()
		e, _ := json.Marshal(a)
		fmt.Println(string(e))
	}
}
