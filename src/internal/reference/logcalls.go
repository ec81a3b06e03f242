// SPDX-License-Identifier: Apache-2.0

package main

import (
	"go/ast"
	"go/token"
	"iter"
	"strconv"
	"strings"
)

// callsIn iterates over the calls in a piece of code.
func callsIn(node ast.Node) iter.Seq[*ast.CallExpr] {
	return func(yield func(*ast.CallExpr) bool) {
		for n := range ast.Preorder(node) {
			if call, ok := n.(*ast.CallExpr); ok && !yield(call) {
				return
			}
		}
	}
}

// logCall takes a call of slog's Logger apart: the level, "" where it is computed, the message, and what comes
// after it. The linter sees to it that each message is a constant.
func logCall(call *ast.CallExpr) (level, message string, rest []ast.Expr, ok bool) {
	method, isMethod := call.Fun.(*ast.SelectorExpr)
	if !isMethod || !isLogger(method.X) {
		return "", "", nil, false
	}
	at := 0
	switch name := method.Sel.Name; name {
	case "Debug", "Info", "Warn", "Error":
		level = strings.ToUpper(name)
	case "DebugContext", "InfoContext", "WarnContext", "ErrorContext":
		level, at = strings.ToUpper(strings.TrimSuffix(name, "Context")), 1
	case "Log", "LogAttrs":
		at = 2
	default:
		return "", "", nil, false
	}
	if len(call.Args) <= at {
		return "", "", nil, false
	}
	if at == 2 {
		level = levelsIn(call.Args[1])
	}
	message, ok = text(call.Args[at])
	return level, message, call.Args[at+1:], ok
}

// isLogger says whether an expression is a logger, by its name.
func isLogger(x ast.Expr) bool {
	switch x := x.(type) {
	case *ast.Ident:
		return strings.HasPrefix(strings.ToLower(x.Name), "log")
	case *ast.SelectorExpr:
		return isLogger(x.Sel)
	case *ast.CallExpr:
		return isLogger(x.Fun)
	default:
		return false
	}
}

// levelsIn are the levels that a piece of code names.
func levelsIn(node ast.Node) string {
	var levels []string
	for n := range ast.Preorder(node) {
		if selector, ok := n.(*ast.SelectorExpr); ok && isPackage(selector.X, "slog") {
			if level, found := strings.CutPrefix(selector.Sel.Name, "Level"); found && level != "" {
				levels = append(levels, strings.ToUpper(level))
			}
		}
	}
	return joined(levels...)
}

// listed are the keys in lists of attributes: slog's constructors, literals of []any, and what is appended.
func listed(node ast.Node) []string {
	var keys []string
	for n := range ast.Preorder(node) {
		switch n := n.(type) {
		case *ast.CallExpr:
			if name, ok := n.Fun.(*ast.Ident); ok && name.Name == "append" && !n.Ellipsis.IsValid() {
				keys = append(keys, pairs(n.Args[1:])...)
			}
			if constructor, ok := n.Fun.(*ast.SelectorExpr); ok && isPackage(constructor.X, "slog") && len(n.Args) == 2 {
				keys = append(keys, pairs(n.Args)...)
			}
		case *ast.CompositeLit:
			if list, ok := n.Type.(*ast.ArrayType); ok && isPackage(list.Elt, "any") {
				keys = append(keys, pairs(n.Elts)...)
			}
		}
	}
	return keys
}

// keysOfWith are the keys that a function's logger has on each of its lines.
func keysOfWith(node ast.Node) []string {
	var keys []string
	for call := range callsIn(node) {
		if method, ok := call.Fun.(*ast.SelectorExpr); ok && method.Sel.Name == "With" && isLogger(method.X) {
			keys = append(keys, pairs(call.Args)...)
		}
	}
	return keys
}

// pairs are the keys of arguments that alternate between key and value. Attributes among them stand alone.
func pairs(arguments []ast.Expr) []string {
	var keys []string
	for i := 0; i < len(arguments); i++ {
		if key, ok := text(arguments[i]); ok {
			keys = append(keys, key)
			i++
		} else {
			keys = append(keys, listed(arguments[i])...)
		}
	}
	return keys
}

func text(x ast.Expr) (string, bool) {
	literal, ok := x.(*ast.BasicLit)
	if !ok || literal.Kind != token.STRING {
		return "", false
	}
	value, err := strconv.Unquote(literal.Value)
	return value, err == nil
}

func isPackage(x ast.Expr, name string) bool {
	ident, ok := x.(*ast.Ident)
	return ok && ident.Name == name
}
