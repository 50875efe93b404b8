# runqemu gives the machine a software TPM 2.0 with a TIS interface. The program swtpm comes from the build host.
ENF_SWTPM_DIR ?= "/tmp/enf-swtpm-${MACHINE}"
ENF_TPM_DEVICE = "tpm-tis"
ENF_TPM_DEVICE:qemuarm64 = "tpm-tis-device"

QB_SETUP_CMD:qemuall = "mkdir -p ${ENF_SWTPM_DIR} && swtpm socket --tpm2 --daemon --terminate --tpmstate dir=${ENF_SWTPM_DIR} --ctrl type=unixio,path=${ENF_SWTPM_DIR}/socket"
QB_CLEANUP_CMD:qemuall = "rm -f ${ENF_SWTPM_DIR}/socket"
QB_OPT_APPEND:append:qemuall = " -chardev socket,id=enftpm,path=${ENF_SWTPM_DIR}/socket -tpmdev emulator,id=tpm0,chardev=enftpm -device ${ENF_TPM_DEVICE},tpmdev=tpm0"
