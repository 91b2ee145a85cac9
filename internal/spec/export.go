// Export: a document back into the file that makes it.

package spec

import (
	"bytes"
	"fmt"

	yaml "go.yaml.in/yaml/v4"

	"baton/internal/flow"
)

// Export writes a document as YAML that Parse reads back as the same document. Keys stand in the
// order of the tables; what is not set is left out, and so are comments. The content of files is not
// in it, only their paths.
func Export(doc flow.Document) ([]byte, error) {
	n, err := documentNode(doc)
	if err != nil {
		return nil, err
	}
	return encode(n, yaml.WithLineWidth(-1))
}

// documentNode is a document as its file would say it.
func documentNode(doc flow.Document) (*yaml.Node, error) {
	switch {
	case doc.Workflow != nil:
		return workflowKeys.write(&workflow{Workflow: *doc.Workflow}), nil
	case doc.Project != nil:
		return projectKeys.write(doc.Project), nil
	case doc.DataSource != nil:
		return dataSourceKeys.write(doc.DataSource), nil
	case doc.Calendar != nil:
		return calendarKeys.write(doc.Calendar), nil
	case doc.Environment != nil:
		return environmentKeys.write(doc.Environment), nil
	case doc.WorkerGroup != nil:
		return workerGroupKeys.write(doc.WorkerGroup), nil
	case doc.Pool != nil:
		return poolKeys.write(doc.Pool), nil
	default:
		return nil, fmt.Errorf("export: the document is empty")
	}
}

func encode(n *yaml.Node, opts ...yaml.Option) ([]byte, error) {
	var out bytes.Buffer
	d, err := yaml.NewDumper(&out, append([]yaml.Option{yaml.WithIndent(2), yaml.WithCompactSeqIndent(false)}, opts...)...)
	if err != nil {
		return nil, fmt.Errorf("export: %w", err)
	}
	if err := d.Dump(n); err != nil {
		return nil, fmt.Errorf("export: %w", err)
	}
	if err := d.Close(); err != nil {
		return nil, fmt.Errorf("export: %w", err)
	}
	return out.Bytes(), nil
}
