//go:build tools

// Package tools makes "go mod tidy" keep what frps and frpc import.
package tools

import (
	_ "github.com/fatedier/frp/cmd/frpc"
	_ "github.com/fatedier/frp/cmd/frps"
)
