#
# SPDX-License-Identifier: Apache-2.0
#
from oeqa.core.decorator.depends import OETestDepends
from oeqa.runtime.case import OERuntimeTestCase
from oeqa.runtime.decorator.package import OEHasPackage


class EnfTest(OERuntimeTestCase):
    """What a gateway image needs before it has met a fabric."""

    def check(self, command):
        status, output = self.target.run(command)
        self.assertEqual(status, 0, msg="%s: %s" % (command, output))
        return output

    @OETestDepends(["ssh.SSHTest.test_ssh"])
    @OEHasPackage(["enf-agent"])
    def test_tpm(self):
        self.check("test -c /dev/tpmrm0")
        self.check("tpm2_getcap algorithms | grep -i ecdaa")

    @OETestDepends(["ssh.SSHTest.test_ssh"])
    @OEHasPackage(["enf-agent"])
    def test_program(self):
        self.check("enf-agent --version")
        self.check("test \"$(stat -c %G /dev/tpmrm0)\" = tss")
        self.check("su -s /bin/sh enf -c 'tpm2_getrandom -T device:/dev/tpmrm0 --hex 8'")

    @OETestDepends(["enf.EnfTest.test_program"])
    def test_unit(self):
        self.check("systemctl is-enabled enf-agent.service")
        # Without a fabric in its configuration the agent ends with 78, and is not tried again.
        self.check("systemctl show -p ExecMainStatus --value enf-agent.service | grep -qE '^(0|78)$'")

    @OETestDepends(["ssh.SSHTest.test_ssh"])
    def test_state_outlives_the_root(self):
        self.check("findmnt -n -o SOURCE /var/lib/enf-agent | grep -v tmpfs")
