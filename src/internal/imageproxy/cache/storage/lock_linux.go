// SPDX-License-Identifier: Apache-2.0

package storage

import (
	"os"
	"path/filepath"
	"syscall"
)

// lock marks a directory as used by this process, as long as the file is open. It reports whether no other
// process uses it, where that can be known. Then none begins before the file is shared.
func lock(dir string) (file *os.File, alone bool, err error) {
	file, err = os.OpenFile(filepath.Join(dir, "lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, false, err
	}
	if syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) == nil {
		return file, true, nil
	}
	share(file)
	return file, false, nil
}

// share lets other processes use the directory, too. Not every file system has locks.
func share(file *os.File) { _ = syscall.Flock(int(file.Fd()), syscall.LOCK_SH) }
