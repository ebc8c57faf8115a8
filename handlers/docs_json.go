package handlers

import (
	"encoding/json"

	"go.yaml.in/yaml/v4"
)

// yamlToJSON makes the very document. The one that oapi-codegen embeds leaves out empty
// properties and sorts the keys; here operations and fields stand in the page as the
// contract's author put them.
func yamlToJSON(text []byte) ([]byte, error) {
	var root yaml.Node
	if err := yaml.Unmarshal(text, &root); err != nil {
		return nil, err
	}
	return appendJSON(nil, &root)
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
