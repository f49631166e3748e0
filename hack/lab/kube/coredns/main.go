// CoreDNS with only the plugins that a development cluster needs. Fewer plugins build faster; the upstream default set
// depends on entire cloud SDKs.
package main

import (
	"github.com/coredns/coredns/core/dnsserver"
	"github.com/coredns/coredns/coremain"
	_ "github.com/coredns/coredns/plugin/bind"
	_ "github.com/coredns/coredns/plugin/cache"
	_ "github.com/coredns/coredns/plugin/errors"
	_ "github.com/coredns/coredns/plugin/kubernetes"
	_ "github.com/coredns/coredns/plugin/loadbalance"
	_ "github.com/coredns/coredns/plugin/log"
)

func main() {
	// The order here is the order in which a query passes the plugins.
	dnsserver.Directives = []string{"bind", "errors", "log", "cache", "loadbalance", "kubernetes"}
	coremain.Run()
}
