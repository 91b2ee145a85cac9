// YAML nodes to write.

package spec

import (
	"bytes"
	"encoding/json"
	"strings"

	yaml "go.yaml.in/yaml/v4"
)

// textNode is a text that reads back as the same text: quoted where YAML would take it for something
// else, as a block where it has several lines.
func textNode(s string) *yaml.Node {
	n := &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: s}
	switch {
	case blockable(s):
		n.Style = yaml.LiteralStyle
	case plainKind(s) != textScalar || strings.ContainsAny(s, "\n\r\t\u0085\u2028\u2029\ufeff") || s == "<<":
		n.Style = yaml.DoubleQuotedStyle
	}
	return n
}

// blockable tells texts that a literal block keeps byte for byte.
func blockable(s string) bool {
	if !strings.Contains(s, "\n") || strings.TrimLeft(s, " \n") == "" || s[0] == ' ' || s[0] == '\n' {
		return false
	}
	for line := range strings.SplitSeq(s, "\n") {
		if strings.HasSuffix(line, " ") || strings.HasSuffix(line, "\t") {
			return false
		}
	}
	for _, c := range s {
		if c < ' ' && c != '\n' && c != '\t' || c >= 0x7F && c <= 0xA0 || c == '\u2028' || c == '\u2029' || c == '\ufeff' || c >= 0xFFFE && c <= 0xFFFF {
			return false
		}
	}
	return true
}

// plainNode is a value that is no text, with its tag.
func plainNode(tag, s string) *yaml.Node {
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: tag, Value: s}
}

// writeOptions writes JSON options as YAML, in their own order.
func writeOptions(with json.RawMessage) *yaml.Node {
	if len(with) == 0 {
		return nil
	}
	d := json.NewDecoder(bytes.NewReader(with))
	d.UseNumber()
	n, err := jsonNode(d)
	if err != nil {
		return nil
	}
	return n
}

// jsonNode reads the next JSON value as a node.
func jsonNode(d *json.Decoder) (*yaml.Node, error) {
	tok, err := d.Token()
	if err != nil {
		return nil, err
	}
	switch t := tok.(type) {
	case json.Delim:
		n := &yaml.Node{Kind: yaml.MappingNode}
		if t == '[' {
			n.Kind = yaml.SequenceNode
		}
		for d.More() {
			item, err := jsonNode(d)
			if err != nil {
				return nil, err
			}
			n.Content = append(n.Content, item)
		}
		if len(n.Content) == 0 {
			n.Style = yaml.FlowStyle
		}
		_, err := d.Token()
		return n, err
	case string:
		return textNode(t), nil
	case json.Number:
		if isInt(t.String()) {
			return plainNode("!!int", t.String()), nil
		}
		return plainNode("!!float", t.String()), nil
	case bool:
		if t {
			return plainNode("!!bool", "true"), nil
		}
		return plainNode("!!bool", "false"), nil
	default:
		return plainNode("!!null", "null"), nil
	}
}
