// Reads the commands of a program that is built with cobra from its source, and prints them with their flags and subcommands.
//
// A command is a function with a literal `Use`; its flags are those that it, or what it calls for that, gives to a set of flags; its
// subcommands are the commands that it calls. Functions are known by their name alone: what a command gets from one that several packages
// have, such as `AddFlags`, is what any of them gives, so a flag too many may be known, never one too few.
//
// Usage: commands DIRECTORY…   prints {FUNCTION: {"name": …, "flags": {FLAG: TAKES_A_VALUE}, "commands": [FUNCTION, …]}} as JSON.
package main

import (
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
)

type function struct {
	use   string
	flags map[string]bool
	calls map[string]bool
}

type command struct {
	Name     string          `json:"name"`
	Flags    map[string]bool `json:"flags"`
	Commands []string        `json:"commands"`
}

var (
	// String, StringVar, StringVarP, StringP and so on, of each type.
	definition = regexp.MustCompile(`^(Bool|Count|Duration|Float|Int|IP|String|Uint|Var)[A-Za-z0-9]*$`)
	long       = regexp.MustCompile(`^[a-z][a-z0-9-]+$`)
	functions  = map[string]*function{}
	constants  = map[string]string{}
)

func main() {
	for _, directory := range os.Args[1:] {
		if err := filepath.WalkDir(directory, read); err != nil {
			panic(err)
		}
	}
	found := map[string]command{}
	for name, made := range functions {
		if made.use != "" {
			found[name] = gathered(name, made)
		}
	}
	if err := json.NewEncoder(os.Stdout).Encode(found); err != nil {
		panic(err)
	}
}

func read(path string, _ fs.DirEntry, err error) error {
	if err != nil || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
		return err
	}
	file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
	if err != nil {
		return err
	}
	for _, declared := range file.Decls {
		switch declared := declared.(type) {
		case *ast.GenDecl:
			readConstants(declared)
		case *ast.FuncDecl:
			readFunction(declared)
		}
	}
	return nil
}

func readConstants(declared *ast.GenDecl) {
	for _, spec := range declared.Specs {
		values, is := spec.(*ast.ValueSpec)
		for index := 0; is && index < len(values.Values); index++ {
			if text, is := literal(values.Values[index]); is {
				constants[values.Names[index].Name] = text
			}
		}
	}
}

// readFunction joins what functions of one name do.
func readFunction(declared *ast.FuncDecl) {
	name := declared.Name.Name
	if functions[name] == nil {
		functions[name] = &function{flags: map[string]bool{}, calls: map[string]bool{}}
	}
	made := functions[name]
	ast.Inspect(declared, func(node ast.Node) bool {
		switch node := node.(type) {
		case *ast.KeyValueExpr:
			if key, is := node.Key.(*ast.Ident); is && key.Name == "Use" && made.use == "" {
				made.use, _ = literal(node.Value)
			}
		case *ast.CallExpr:
			called := nameOf(node.Fun)
			made.calls[called] = true
			if definition.MatchString(called) {
				made.define(called, node.Args)
			}
		}
		return true
	})
}

// define notes the first text that can be a flag, and its short form after it.
func (made *function) define(method string, arguments []ast.Expr) {
	takesValue := !strings.HasPrefix(method, "Bool") && !strings.HasPrefix(method, "Count")
	for index, argument := range arguments {
		text, is := literal(argument)
		if !is || !long.MatchString(text) {
			continue
		}
		made.flags["--"+text] = takesValue
		if index+1 < len(arguments) {
			if short, is := literal(arguments[index+1]); is && len(short) == 1 {
				made.flags["-"+short] = takesValue
			}
		}
		return
	}
}

// gathered adds what the functions give that it calls, up to other commands.
func gathered(name string, made *function) command {
	result := command{Name: strings.Fields(made.use)[0], Flags: map[string]bool{}, Commands: []string{}}
	seen := map[string]bool{name: true}
	var visit func(*function)
	visit = func(current *function) {
		for flag, takesValue := range current.flags {
			result.Flags[flag] = takesValue
		}
		for called := range current.calls {
			next := functions[called]
			if next == nil || seen[called] {
				continue
			}
			seen[called] = true
			if next.use != "" {
				result.Commands = append(result.Commands, called)
			} else {
				visit(next)
			}
		}
	}
	visit(made)
	return result
}

func literal(value ast.Expr) (string, bool) {
	switch value := value.(type) {
	case *ast.BasicLit:
		text, err := strconv.Unquote(value.Value)
		return text, err == nil && value.Kind == token.STRING
	case *ast.Ident:
		text, is := constants[value.Name]
		return text, is
	}
	return "", false
}

func nameOf(called ast.Expr) string {
	switch called := called.(type) {
	case *ast.Ident:
		return called.Name
	case *ast.SelectorExpr:
		return called.Sel.Name
	}
	return ""
}
