# A kernel that is no Linux. Entered by PVH it says its command line on the serial port, finds the register that resets
# the machine in the ACPI tables, and uses it. Where something is not as it should be it stands still.
#
# Formats: xen/include/public/arch-x86/hvm/start_info.h; ACPI 6.5, 5.2.5 (root pointer), 5.2.8 (its list of tables),
# 5.2.9 (fixed description).

    .section .note.pvh, "a", @note
    .long 4, 4, 18              # XEN_ELFNOTE_PHYS32_ENTRY
    .asciz "Xen"
    .long _start

    .section .note.GNU-stack, "", @progbits

    .text
    .code32
    .globl _start
_start:
    cmpl $0x336ec578, (%ebx)    # the start info's magic number
    jne stop
    movl 24(%ebx), %esi         # the command line
    movw $0x3f8, %dx
say:
    lodsb
    testb %al, %al
    jz tables
    outb %al, %dx
    jmp say
tables:
    movl 32(%ebx), %eax         # the root pointer
    movl 24(%eax), %eax         # the list
    movl 4(%eax), %ecx          # its length
    addl %eax, %ecx
    addl $36, %eax
next:
    cmpl %ecx, %eax
    jae stop
    movl (%eax), %edi
    addl $8, %eax
    cmpl $0x50434146, (%edi)    # "FACP"
    jne next
    testl $0x400, 112(%edi)     # RESET_REG_SUP
    jz stop
    cmpb $1, 116(%edi)          # a port
    jne stop
    movl 120(%edi), %edx
    movb 128(%edi), %al
    outb %al, %dx
stop:
    hlt
    jmp stop
