package gen_test

import (
	"encoding/json"
	"flag"
	"os"
	"testing"

	"go.yaml.in/yaml/v4"

	"apikeyd/gen"
)

// update is given by make generate.
var update = flag.Bool("update", false, "write openapi.json instead of comparing it")

// openapi.json is openapi.yaml in its own order. The document that oapi-codegen embeds leaves out
// empty properties and sorts the rest.
func TestContractJSON(t *testing.T) {
	t.Parallel()
	const path = "openapi.json"
	contract, err := os.ReadFile("openapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var root yaml.Node
	if err := yaml.Unmarshal(contract, &root); err != nil {
		t.Fatal(err)
	}
	want, err := appendJSON(nil, &root)
	if err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile(path, want, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if string(gen.ContractJSON) != string(want) {
		t.Errorf("%s is not openapi.yaml as JSON; run make generate", path)
	}
}

func appendJSON(out []byte, n *yaml.Node) (_ []byte, err error) {
	switch n.Kind {
	case yaml.DocumentNode:
		return appendJSON(out, n.Content[0])
	case yaml.AliasNode:
		return appendJSON(out, n.Alias)
	case yaml.SequenceNode:
		out = append(out, '[')
		for i, item := range n.Content {
			if i > 0 {
				out = append(out, ',')
			}
			if out, err = appendJSON(out, item); err != nil {
				return nil, err
			}
		}
		return append(out, ']'), nil
	case yaml.MappingNode:
		out = append(out, '{')
		for i := 0; i < len(n.Content); i += 2 {
			if i > 0 {
				out = append(out, ',')
			}
			key, err := json.Marshal(n.Content[i].Value)
			if err != nil {
				return nil, err
			}
			out = append(append(out, key...), ':')
			if out, err = appendJSON(out, n.Content[i+1]); err != nil {
				return nil, err
			}
		}
		return append(out, '}'), nil
	}
	var value any
	if err := n.Decode(&value); err != nil {
		return nil, err
	}
	scalar, err := json.Marshal(value)
	return append(out, scalar...), err
}
