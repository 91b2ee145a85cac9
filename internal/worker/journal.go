// The journal on disk: one append-only file that is read once, at start.
//
// What must be synced, and why so little. A write survives the death of this process, a sync also
// a loss of power. A loss of power kills every attempt as well, so a forgotten grant does no harm:
// nothing of it runs. A forgotten result is one that a master either has, or will never hear of,
// as if power had failed a moment before the end; both are ordinary losses. Only a tombstone
// promises something about the future ("it never will begin here"), so only tombstones are synced
// before they are spoken of, and they are rare. Results that no master takes are synced a second
// later (see disk.go): then they are all there is of the work.

package worker

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"

	"google.golang.org/protobuf/proto"

	"baton/internal/flow"
	"baton/internal/rpc"
	"baton/internal/worker/supervisor"
)

// journalMagic begins the file: name and version of the format.
const journalMagic = "BATONWJ1"

// recordSynced is a record of the file alone: everything before it was synced. It tells a torn
// tail, which is normal after a loss of power, from damage in the middle, which is not.
const recordSynced RecordKind = 255

const recordHead = 8 // length and checksum, 4 bytes each, little endian

var crcTable = crc32.MakeTable(crc32.Castagnoli)

// appendRecord adds the bytes of a record to b.
func appendRecord(b []byte, r Record) []byte {
	at := len(b)
	b = append(b, make([]byte, recordHead)...)
	b = append(b, byte(r.Kind))
	switch r.Kind {
	case RecordSession:
		b = binary.AppendVarint(b, r.Session)
		b = binary.AppendVarint(b, r.Gen)
		b = append(b, r.Cluster...)
	case RecordGrant, RecordTombstone:
		b = binary.AppendVarint(b, r.Token)
		b = binary.AppendVarint(b, r.Instance)
		b = binary.AppendVarint(b, r.Task)
	case RecordProcess:
		b = binary.AppendVarint(b, r.Token)
		b = binary.AppendVarint(b, int64(r.Process.PID))
		b = binary.AppendUvarint(b, r.Process.Start)
		b = binary.AppendVarint(b, int64(r.At))
	case RecordEnd:
		// Marshal fails for invalid UTF-8 only, and texts were made valid before.
		b, _ = proto.MarshalOptions{}.MarshalAppend(b, r.End)
	case RecordDrop:
		for _, token := range r.Dropped {
			b = binary.AppendVarint(b, token)
		}
	case recordSynced:
	}
	body := b[at+recordHead:]
	binary.LittleEndian.PutUint32(b[at:], uint32(len(body)))
	binary.LittleEndian.PutUint32(b[at+4:], crc32.Checksum(body, crcTable))
	return b
}

var errRecord = errors.New("not a record")

// nextRecord reads the record at the head of b and its length in bytes.
func nextRecord(b []byte) (Record, int, error) {
	if len(b) < recordHead+1 {
		return Record{}, 0, errRecord
	}
	n := int(binary.LittleEndian.Uint32(b))
	if n < 1 || n > len(b)-recordHead {
		return Record{}, 0, errRecord
	}
	body := b[recordHead : recordHead+n]
	if crc32.Checksum(body, crcTable) != binary.LittleEndian.Uint32(b[4:]) {
		return Record{}, 0, errRecord
	}
	r, err := parseBody(body)
	return r, recordHead + n, err
}

func parseBody(body []byte) (Record, error) {
	r := Record{Kind: RecordKind(body[0])}
	in := ints{b: body[1:]}
	switch r.Kind {
	case RecordSession:
		r.Session, r.Gen = in.next(), in.next()
		r.Cluster = string(in.b) // nothing in those of earlier programs
	case RecordGrant, RecordTombstone:
		r.Token, r.Instance, r.Task = in.next(), in.next(), in.next()
	case RecordProcess:
		r.Token = in.next()
		r.Process = supervisor.Identity{PID: int(in.next()), Start: in.nextUnsigned()}
		r.At = flow.Time(in.next())
	case RecordEnd:
		r.End = &rpc.Ended{}
		if err := proto.Unmarshal(body[1:], r.End); err != nil {
			return r, errRecord
		}
		return r, nil
	case RecordDrop:
		for len(in.b) > 0 && !in.bad {
			r.Dropped = append(r.Dropped, in.next())
		}
	case recordSynced:
	default:
		// A newer program wrote it. Going back to an older one must not lose what is understood.
		return r, nil
	}
	if in.bad {
		return r, errRecord
	}
	return r, nil
}

// ints reads varints until one is broken.
type ints struct {
	b   []byte
	bad bool
}

func (i *ints) next() int64 {
	v, n := binary.Varint(i.b)
	return advance(i, v, n)
}

func (i *ints) nextUnsigned() uint64 {
	v, n := binary.Uvarint(i.b)
	return advance(i, v, n)
}

func advance[T int64 | uint64](i *ints, v T, n int) T {
	if n <= 0 {
		i.bad, i.b = true, nil
		return 0
	}
	i.b = i.b[n:]
	return v
}

// parseJournal reads the records of a journal and how many of its bytes are good. A torn tail is
// left out; damage before something that was synced is an error.
func parseJournal(b []byte) (records []Record, good int, err error) {
	if len(b) < len(journalMagic) && bytes.HasPrefix([]byte(journalMagic), b) {
		return nil, 0, nil // died while making it
	}
	if !bytes.HasPrefix(b, []byte(journalMagic)) {
		return nil, 0, errors.New("it is not a journal of this program")
	}
	good = len(journalMagic)
	for good < len(b) {
		r, n, err := nextRecord(b[good:])
		if err != nil {
			if at := syncedAfter(b, good+1); at > 0 {
				return nil, 0, fmt.Errorf("byte %d is damaged, though what follows up to byte %d had been written safely", good, at)
			}
			return records, good, nil
		}
		good += n
		if r.Kind != recordSynced {
			records = append(records, r)
		}
	}
	return records, good, nil
}

// syncedAfter finds a synced mark at or after a place, 0 for none.
func syncedAfter(b []byte, from int) int {
	mark := appendRecord(nil, Record{Kind: recordSynced})
	if i := bytes.Index(b[min(from, len(b)):], mark); i >= 0 {
		return from + i
	}
	return 0
}

// journalFile is the open journal.
type journalFile struct {
	path string
	f    *os.File
	size int64
	buf  []byte
}

// openJournal reads the journal of a data folder, or makes one. What a torn tail left is cut off.
func openJournal(path string) (*journalFile, []Record, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, nil, fmt.Errorf("open journal: %w", err)
	}
	records, good, err := loadJournal(f)
	if err != nil {
		f.Close() // nothing was written
		return nil, nil, fmt.Errorf("journal %s is corrupt: %w; to start without it, move it away: "+
			"results in it that no master has are then lost, and their attempts count as lost", path, err)
	}
	j := &journalFile{path: path, f: f, size: int64(good)}
	if good == 0 {
		if err := j.rewrite(nil); err != nil {
			return nil, nil, err
		}
		return j, nil, nil
	}
	if err := f.Truncate(j.size); err != nil {
		f.Close() // nothing was written
		return nil, nil, fmt.Errorf("cut torn tail of journal: %w", err)
	}
	return j, records, nil
}

func loadJournal(f *os.File) ([]Record, int, error) {
	b, err := io.ReadAll(f)
	if err != nil {
		return nil, 0, err
	}
	return parseJournal(b)
}

// append writes records at the end, all or nothing.
func (j *journalFile) append(records []Record) error {
	b := j.buf[:0]
	for _, r := range records {
		b = appendRecord(b, r)
	}
	j.buf = b
	if cap(j.buf) > 1<<20 {
		j.buf = nil
	}
	return j.write(b)
}

// write appends records that are encoded already, all or nothing.
func (j *journalFile) write(b []byte) error {
	if _, err := j.f.WriteAt(b, j.size); err != nil {
		// What got through is overwritten by the next append, or is a torn tail.
		return fmt.Errorf("append to journal: %w", err)
	}
	j.size += int64(len(b))
	return nil
}

// sync makes everything appended safe, and says so in the file.
func (j *journalFile) sync() error {
	if err := j.f.Sync(); err != nil {
		return fmt.Errorf("sync journal: %w", err)
	}
	return j.append([]Record{{Kind: recordSynced}})
}

// rewrite replaces the journal by one with these records only.
func (j *journalFile) rewrite(records []Record) error {
	var b []byte
	for _, r := range records {
		b = appendRecord(b, r)
	}
	return j.replace(b)
}

// replace is rewrite for records that are encoded already.
func (j *journalFile) replace(records []byte) error {
	tmp, err := os.OpenFile(j.path+".new", os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return fmt.Errorf("write journal anew: %w", err)
	}
	b := append([]byte(journalMagic), records...)
	fresh := &journalFile{path: j.path, f: tmp}
	_, err = tmp.WriteAt(b, 0)
	fresh.size = int64(len(b))
	if err == nil {
		err = fresh.sync()
	}
	if err == nil {
		err = os.Rename(tmp.Name(), j.path)
	}
	if err == nil {
		err = syncDir(filepath.Dir(j.path))
	}
	if err != nil {
		tmp.Close() // the old journal stays
		return fmt.Errorf("write journal anew: %w", err)
	}
	j.f.Close() // replaced
	*j = *fresh
	return nil
}

func (j *journalFile) close() error { return j.f.Close() }

func syncDir(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}
