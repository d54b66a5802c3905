import java.lang.management.ManagementFactory;

/** What the virtual machine takes for its limits. */
public class Limits {
    public static void main(String[] args) {
        Runtime runtime = Runtime.getRuntime();
        var system = (com.sun.management.OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean();
        System.out.println("processors " + runtime.availableProcessors());
        System.out.println("heap " + (runtime.maxMemory() >> 20));
        System.out.println("memory " + (system.getTotalMemorySize() >> 20));
        System.out.println("free " + (system.getFreeMemorySize() > 0));
        System.out.println("load " + (system.getProcessCpuLoad() <= 1));
        ManagementFactory.getGarbageCollectorMXBeans().forEach(bean -> System.out.println(bean.getName()));
    }
}
