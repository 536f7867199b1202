//go:build tools

// Package tools makes "go mod tidy" keep what frp's suite and the program that runs it in parallel import.
package tools

import (
	_ "github.com/fatedier/frp/test/e2e"
	_ "github.com/fatedier/frp/test/e2e/framework"
	_ "github.com/fatedier/frp/test/e2e/legacy/basic"
	_ "github.com/fatedier/frp/test/e2e/legacy/features"
	_ "github.com/fatedier/frp/test/e2e/legacy/plugin"
	_ "github.com/fatedier/frp/test/e2e/v1/basic"
	_ "github.com/fatedier/frp/test/e2e/v1/features"
	_ "github.com/fatedier/frp/test/e2e/v1/plugin"
	_ "github.com/onsi/ginkgo/v2/ginkgo"
)
