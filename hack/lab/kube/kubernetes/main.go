// All Kubernetes components in one program, which selects the component by the name of the symbolic link that it is
// called through.
package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"
	"k8s.io/component-base/cli"
	_ "k8s.io/component-base/logs/json/register"
	_ "k8s.io/component-base/metrics/prometheus/clientgo"
	_ "k8s.io/component-base/metrics/prometheus/version"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	controllermanager "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	proxy "k8s.io/kubernetes/cmd/kube-proxy/app"
	scheduler "k8s.io/kubernetes/cmd/kube-scheduler/app"
	kubelet "k8s.io/kubernetes/cmd/kubelet/app"
)

// Is nil where kubectl is a program of its own.
var newKubectl func() *cobra.Command

func command(name string) *cobra.Command {
	switch name {
	case "kube-apiserver":
		return apiserver.NewAPIServerCommand()
	case "kube-controller-manager":
		return controllermanager.NewControllerManagerCommand()
	case "kube-scheduler":
		return scheduler.NewSchedulerCommand()
	case "kubelet":
		return kubelet.NewKubeletCommand(context.Background())
	case "kube-proxy":
		return proxy.NewProxyCommand()
	case "kubectl":
		if newKubectl != nil {
			return newKubectl()
		}
	}
	return nil
}

func main() {
	name := filepath.Base(os.Args[0])
	component := command(name)
	if component == nil {
		fmt.Fprintf(os.Stderr, "%s is no Kubernetes component: call this program through a link named like one\n", name)
		os.Exit(2)
	}
	os.Exit(cli.Run(component))
}
