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

// fileSink appends dead letters to an NDJSON file, which is opened for each write: it may
// be moved away at any time. When it is full it is renamed to PATH.<UTC time> and a new
// one begins; nothing is ever deleted here.
type fileSink struct {
	path string
	max  int64
}

// fileLocks are the locks of the paths, for all instances that name the same one.
var fileLocks sync.Map // of *sync.Mutex by path

// openFileSink creates the file at path if there is none.
func openFileSink(path string, maxSize int64) (*fileSink, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	if dir, err := filepath.EvalSymlinks(filepath.Dir(path)); err == nil {
		path = filepath.Join(dir, filepath.Base(path))
	}
	if st, err := os.Stat(path); err == nil && !st.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a regular file", path)
	}
	s := &fileSink{path: path, max: maxSize}
	f, _, err := s.open()
	if err != nil {
		return nil, err
	}
	return s, f.Close()
}

func (s *fileSink) write(f *flush, list []deadLetter) []bool {
	enc := newEncoder()
	var buf []byte
	for i := range list {
		buf = list[i].append(buf, f, enc, list[i].document, 0, 1)
		buf = append(buf, '\n')
	}
	if err := s.append(buf, f.s.now().UTC().Format("20060102T150405.000000000Z")); err != nil {
		f.s.log.Limited(hostlog.Error, "dead letter file", f.s.now(), "cannot write dead letters, so their documents are handed back for another try: %v; make room, or set dead_letter to another file or index", err)
		return make([]bool, len(list))
	}
	return allSafe(len(list))
}

// append writes whole lines and returns when they are on disk. On error none of
// them is, as far as the file system allows. stamp is the time for the name of a full file.
func (s *fileSink) append(lines []byte, stamp string) error {
	lock, _ := fileLocks.LoadOrStore(s.path, &sync.Mutex{})
	lock.(*sync.Mutex).Lock()
	defer lock.(*sync.Mutex).Unlock()
	f, size, err := s.open()
	if err == nil && size > 0 && size+int64(len(lines)) > s.max {
		f.Close()
		if err = s.rotate(stamp); err == nil {
			f, size, err = s.open()
		}
	}
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err = f.Write(lines); err == nil {
		err = f.Sync()
	}
	if err != nil {
		_ = f.Truncate(size) // if this fails, open completes the line
	}
	return err
}

// open opens or creates the file and completes a line that a crash left open.
func (s *fileSink) open() (f *os.File, size int64, err error) {
	if f, err = os.OpenFile(s.path, os.O_RDWR|os.O_APPEND|os.O_CREATE, deadLetterMode); err != nil {
		return nil, 0, err
	}
	if size, err = f.Seek(0, io.SeekEnd); err == nil && size == 0 {
		err = syncDir(s.path) // it may be new
	} else if err == nil {
		var last [1]byte
		if _, err = f.ReadAt(last[:], size-1); err == nil && last[0] != '\n' {
			_, err = f.WriteString("\n")
			size++
		}
	}
	if err != nil {
		f.Close()
		return nil, 0, err
	}
	return f, size, nil
}

// rotate puts the file aside under a name that is free.
func (s *fileSink) rotate(stamp string) error {
	to := s.path + "." + stamp
	for i := 1; ; i++ {
		_, err := os.Lstat(to)
		if errors.Is(err, os.ErrNotExist) {
			return os.Rename(s.path, to)
		}
		if err != nil {
			return err
		}
		to = fmt.Sprintf("%s.%s.%d", s.path, stamp, i)
	}
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
