// The last list of masters, on disk.

package worker

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// mastersFile keeps the list of masters that a source told last. The source is kept as a digest: it may
// hold a password, and a list of another source, of another cluster perhaps, is none.
type mastersFile struct{ path, source string }

type mastersKept struct {
	Source  string   `json:"source"` // SHA-256, hexadecimal
	Masters []string `json:"masters"`
}

func (f mastersFile) digest() string {
	sum := sha256.Sum256([]byte(f.source))
	return hex.EncodeToString(sum[:])
}

// read returns what the same source told last, nil if it told nothing yet.
func (f mastersFile) read() ([]string, error) {
	if f.source == "" {
		return nil, nil
	}
	b, err := os.ReadFile(f.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("last masters: %w", err)
	}
	var kept mastersKept
	if err := json.Unmarshal(b, &kept); err != nil {
		return nil, fmt.Errorf("last masters: %s: %w", f.path, err)
	}
	if kept.Source != f.digest() {
		return nil, nil
	}
	return kept.Masters, nil
}

// write replaces the list. After a loss of power there may be none.
func (f mastersFile) write(list []string) error {
	if f.source == "" {
		return nil
	}
	b, err := json.Marshal(mastersKept{f.digest(), list})
	if err != nil {
		return fmt.Errorf("last masters: %w", err)
	}
	temp := f.path + ".new"
	if err := os.WriteFile(temp, b, 0o600); err != nil {
		return fmt.Errorf("last masters: %w", err)
	}
	if err := os.Rename(temp, f.path); err != nil {
		return fmt.Errorf("last masters: %w", err)
	}
	return nil
}
