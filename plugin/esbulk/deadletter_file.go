package esbulk

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"

	"fluent-bit-fortiems/plugin/hostlog"
)

// maxDeadLetterFile is the size in bytes at which a file of dead letters is put aside.
const maxDeadLetterFile = 64 << 20

// deadLetterMode keeps dead letters from other users: they are log data.
const deadLetterMode os.FileMode = 0o600

// deadLetterFile is an NDJSON file of dead letters. All instances that name the same
// path share one. When it is full it is renamed to PATH.<UTC time> and a new one
// begins; nothing is ever deleted here. A file that somebody else moved away is
// created again.
type deadLetterFile struct {
	path string
	max  int64

	mu   sync.Mutex
	file *os.File
	size int64
	used int // by so many instances; guarded by deadLetterFiles.mu
}

// deadLetterFiles are the open files by path.
var deadLetterFiles = struct {
	mu     sync.Mutex
	byPath map[string]*deadLetterFile
}{byPath: make(map[string]*deadLetterFile)}

// fileSink is what one instance holds of a deadLetterFile.
type fileSink struct {
	file *deadLetterFile
	once sync.Once
}

// openFileSink opens or shares the file at path.
func openFileSink(path string, maxSize int64) (*fileSink, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	if dir, err := filepath.EvalSymlinks(filepath.Dir(path)); err == nil {
		path = filepath.Join(dir, filepath.Base(path))
	}
	deadLetterFiles.mu.Lock()
	defer deadLetterFiles.mu.Unlock()
	l := deadLetterFiles.byPath[path]
	if l == nil {
		l = &deadLetterFile{path: path, max: maxSize}
		if err := l.open(); err != nil {
			return nil, err
		}
		deadLetterFiles.byPath[path] = l
	}
	l.used++
	return &fileSink{file: l}, nil
}

func (s *fileSink) close() {
	s.once.Do(func() {
		deadLetterFiles.mu.Lock()
		defer deadLetterFiles.mu.Unlock()
		if s.file.used--; s.file.used > 0 {
			return
		}
		delete(deadLetterFiles.byPath, s.file.path)
		s.file.mu.Lock()
		defer s.file.mu.Unlock()
		if s.file.file != nil {
			s.file.file.Close() // every write was synced
			s.file.file = nil
		}
	})
}

func (s *fileSink) write(f *flush, list []deadLetter) []bool {
	enc := newEncoder()
	var buf []byte
	for i := range list {
		buf = list[i].append(buf, f, enc, list[i].document, 0, 1)
		buf = append(buf, '\n')
	}
	if err := s.file.append(buf, f.s.now().UTC().Format("20060102T150405.000000000Z")); err != nil {
		f.s.log.Limited(hostlog.Error, "dead letter file", f.s.now(), "cannot write dead letters, their documents are handed back for another try: %v", err)
		return make([]bool, len(list))
	}
	return allSafe(len(list))
}

// open opens or makes the file and completes a line that a crash left open.
func (l *deadLetterFile) open() (err error) {
	f, err := os.OpenFile(l.path, os.O_RDWR|os.O_APPEND|os.O_CREATE, deadLetterMode)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			f.Close()
		}
	}()
	st, err := f.Stat()
	if err != nil {
		return err
	}
	if !st.Mode().IsRegular() {
		return fmt.Errorf("%s is not a regular file", l.path)
	}
	l.size = st.Size()
	if l.size > 0 {
		var last [1]byte
		if _, err := f.ReadAt(last[:], l.size-1); err != nil {
			return err
		}
		if last[0] != '\n' {
			if _, err := f.Write([]byte("\n")); err != nil {
				return err
			}
			l.size++
		}
	}
	if err := syncDir(l.path); err != nil {
		return err
	}
	l.file = f
	return nil
}

// append writes whole lines and returns when they are on disk. On error none of
// them is, as far as the file system tells.
func (l *deadLetterFile) append(lines []byte, stamp string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.prepare(int64(len(lines)), stamp); err != nil {
		return err
	}
	n, err := l.file.Write(lines)
	if err == nil {
		err = l.file.Sync()
	}
	if err != nil {
		// The next write must not continue a broken line.
		if cutErr := l.file.Truncate(l.size); cutErr != nil {
			l.file.Close()
			l.file = nil // open completes the line
		}
		return err
	}
	l.size += int64(n)
	return nil
}

// prepare makes sure that the open file is the one at its path and has room for n bytes.
func (l *deadLetterFile) prepare(n int64, stamp string) error {
	if l.file != nil {
		at, err := os.Stat(l.path)
		ours, err2 := l.file.Stat()
		if err != nil || err2 != nil || !os.SameFile(at, ours) {
			l.file.Close()
			l.file = nil
		}
	}
	if l.file != nil && l.size > 0 && l.size+n > l.max {
		if err := l.rotate(stamp); err != nil {
			return err
		}
	}
	if l.file == nil {
		return l.open()
	}
	return nil
}

// rotate puts the file aside under a name that is free.
func (l *deadLetterFile) rotate(stamp string) error {
	to := l.path + "." + stamp
	for i := 1; ; i++ {
		_, err := os.Lstat(to)
		if errors.Is(err, os.ErrNotExist) {
			break
		}
		if err != nil {
			return err
		}
		to = fmt.Sprintf("%s.%s.%d", l.path, stamp, i)
	}
	if err := os.Rename(l.path, to); err != nil {
		return err
	}
	l.file.Close()
	l.file = nil
	return nil
}

// syncDir makes a new name durable.
func syncDir(path string) error {
	d, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer d.Close()
	if err := d.Sync(); err != nil && !errors.Is(err, errors.ErrUnsupported) && !errors.Is(err, io.EOF) {
		return err
	}
	return nil
}
