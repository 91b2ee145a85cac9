// How answers are printed: a table for people, or json, yaml, name for programs.

package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"

	"github.com/spf13/cobra"
	"go.yaml.in/yaml/v4"
)

const (
	formatTable = "table"
	formatWide  = "wide"
	formatJSON  = "json"
	formatYAML  = "yaml"
	formatName  = "name"
)

var formats = []string{formatTable, formatWide, formatJSON, formatYAML, formatName}

// format is what -o says, also where the settings could not be read.
func (a *app) format(cmd *cobra.Command) string {
	if a.config.Output != "" {
		return a.config.Output
	}
	format, _ := cmd.Flags().GetString("output")
	return format
}

// print writes an answer: raw for programs, otherwise as people draws it. names are what -o name
// prints, a line each.
func (a *app) print(raw json.RawMessage, names []string, people func(io.Writer) error) error {
	switch a.config.Output {
	case formatJSON:
		return printJSON(a.Stdout, raw)
	case formatYAML:
		return printYAML(a.Stdout, raw)
	case formatName:
		for _, n := range names {
			if _, err := fmt.Fprintln(a.Stdout, n); err != nil {
				return err
			}
		}
		return nil
	default:
		return people(a.Stdout)
	}
}

func printJSON(w io.Writer, raw json.RawMessage) error {
	var out bytes.Buffer
	if err := json.Indent(&out, bytes.TrimSpace(raw), "", "  "); err != nil {
		return fmt.Errorf("print json: %w", err)
	}
	out.WriteByte('\n')
	_, err := w.Write(out.Bytes())
	return err
}

// printYAML keeps the order of the keys: JSON is read as the YAML it also is.
func printYAML(w io.Writer, raw json.RawMessage) error {
	var doc yaml.Node
	if err := yaml.Unmarshal(raw, &doc); err != nil {
		return fmt.Errorf("print yaml: %w", err)
	}
	blockStyle(&doc)
	enc := yaml.NewEncoder(w)
	enc.SetIndent(2)
	if err := enc.Encode(&doc); err != nil {
		return fmt.Errorf("print yaml: %w", err)
	}
	return enc.Close()
}

func blockStyle(n *yaml.Node) {
	n.Style = 0
	if len(n.Content) == 0 && n.Kind != yaml.ScalarNode {
		n.Style = yaml.FlowStyle // [] and {}
	}
	for _, child := range n.Content {
		blockStyle(child)
	}
}
