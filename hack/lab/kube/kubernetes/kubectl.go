//go:build !amd64

// For amd64, hack/lib/tools/helm.sh installs the released kubectl.
package main

import kubectl "k8s.io/kubectl/pkg/cmd"

func init() { newKubectl = kubectl.NewDefaultKubectlCommand }
