package fleettokens

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"
)

const (
	// shortest keeps out what can be guessed.
	shortest = 16
	// largest bounds what is read.
	largest = 1 << 20
	comment = "#"
)

// tokens are the environments of each token. They are found by its hash: how long that takes tells nothing of a token.
type tokens map[[sha256.Size]byte][]string

// version tells whether a file is as it was; a link that leads elsewhere makes another one of it.
type version struct {
	at     time.Time
	size   int64
	number uint64
}

func versionOf(path string) (version, error) {
	found, err := os.Stat(path)
	if err != nil {
		return version{}, err
	}
	return version{found.ModTime(), found.Size(), inode(found)}, nil
}

// read is the tokens of a file; what it says of a wrong one has no part of a token.
func read(path string) (tokens, error) {
	found, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if found.Size() > largest {
		return nil, fmt.Errorf("%s: is larger than 1 MiB: it has to be a file of tokens", path)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	return parse(path, text)
}

func parse(path string, text []byte) (tokens, error) {
	known := tokens{}
	var problems []error
	number := 0
	for line := range bytes.Lines(text) {
		number++
		words := strings.Fields(strings.SplitN(string(line), " "+comment, 2)[0])
		switch {
		case len(words) == 0 || strings.HasPrefix(words[0], comment):
		case len(words[0]) < shortest:
			problems = append(problems, fmt.Errorf("%s: line %d has a token of %d characters, which can be guessed: make one by `openssl rand -hex 24`",
				path, number, len(words[0])))
		default:
			hash := sha256.Sum256([]byte(words[0]))
			for _, word := range words[1:] {
				known[hash] = append(known[hash], strings.FieldsFunc(word, func(r rune) bool { return r == ',' })...)
			}
			if known[hash] == nil {
				known[hash] = []string{}
			}
		}
	}
	if len(known) == 0 && len(problems) == 0 {
		problems = append(problems, fmt.Errorf("%s: has no token: write lines such as `TOKEN prod`", path))
	}
	return known, errors.Join(problems...)
}
